// `npm start`: installs and builds what is missing, then runs the demo.
import { checkNode, ensureBuilt, ensureInstalled } from './prepare.mjs';

checkNode();
ensureInstalled();
ensureBuilt();
// not before: what it imports is not there in a Node that is too old
await import('./demo.mjs');
