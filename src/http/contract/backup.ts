/** The whole store, to be kept elsewhere. */
import { API_PREFIX, endpoint } from './endpoint.js';

export const getBackup = endpoint({
  method: 'GET',
  path: `${API_PREFIX}/backup`,
  id: 'getBackup',
  tag: 'operation',
  summary: 'a backup of everything that is stored, made while the server goes on',
  description:
    'Compressed JSON lines, for `vapora restore`. An answer that breaks off is no backup: its last line says how many there are and what they hash to. One at a time.',
  answer: 'application/gzip',
});
