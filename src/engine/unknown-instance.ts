import { VaporaError } from '../core/errors.js';

export function unknownInstance(id: string): VaporaError {
  return new VaporaError('instance_unknown', `there is no instance \`${id.slice(0, 128)}\``, {
    hint: '`vapora list` shows them',
  });
}
