/** `[server]`: where the server listens, and how it knows who calls. */
import { resolve } from 'node:path';
import { type DocumentNode, originOf } from './document.js';
import type { Report } from './report.js';
import type { ServerRow } from './server-shape.js';
import { DEFAULT_SERVER } from './server-shape.js';

export interface OidcSettings {
  readonly issuer: string;
  readonly audience: string;
  /** Keys of the issuer: their URL, or the absolute path of a file. */
  readonly jwks: { readonly url: string } | { readonly file: string };
  readonly userClaim: string;
  readonly groupsClaim: string;
}

export interface ServerSettings {
  readonly host: string;
  readonly port: number;
  /** Where others reach the server; null: nobody has said. */
  readonly publicUrl: string | null;
  /** Null: everybody is who they say they are. API tokens are taken in any case. */
  readonly auth: { readonly oidc: OidcSettings | null } | null;
}

export function buildServer(
  row: ServerRow | undefined,
  directory: string,
  root: DocumentNode,
  report: Report,
): ServerSettings {
  const auth = row?.auth;
  return {
    host: row?.host ?? DEFAULT_SERVER.host,
    port: row?.port ?? DEFAULT_SERVER.port,
    publicUrl: buildPublicUrl(row?.public_url, root, report),
    auth: auth === undefined ? null : { oidc: buildOidc(auth, directory, root, report) },
  };
}

function buildPublicUrl(url: string | undefined, root: DocumentNode, report: Report): string | null {
  if (url === undefined) return null;
  const parsed = URL.canParse(url) ? new URL(url) : null;
  if (parsed !== null && /^https?:$/.test(parsed.protocol) && parsed.search === '' && parsed.hash === '')
    return url;
  const path = ['server', 'public_url'];
  report.error({
    message: '`server.public_url` is no URL of a server',
    path,
    origin: originOf(root, path),
    expected: 'an `http` or `https` URL without query',
  });
  return null;
}

function buildOidc(
  auth: NonNullable<ServerRow['auth']>,
  directory: string,
  root: DocumentNode,
  report: Report,
): OidcSettings | null {
  const { issuer, audience, jwks } = auth;
  if (issuer === undefined && audience === undefined && jwks === undefined) return null;
  if (issuer === undefined || audience === undefined || jwks === undefined) {
    const path = ['server', 'auth'];
    report.error({
      message: '`server.auth` has some of `issuer`, `audience` and `jwks` but not all three',
      path,
      origin: originOf(root, path),
      expected: 'all of them, or none',
    });
    return null;
  }
  return {
    issuer,
    audience,
    jwks: /^https?:\/\//.test(jwks) ? { url: jwks } : { file: resolve(directory, jwks) },
    userClaim: auth.user_claim ?? DEFAULT_SERVER.userClaim,
    groupsClaim: auth.groups_claim ?? DEFAULT_SERVER.groupsClaim,
  };
}
