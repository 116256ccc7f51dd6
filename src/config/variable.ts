/** Characters that an environment variable's name has everywhere. */
export const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;
