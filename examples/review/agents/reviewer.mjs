/** Roles `security-reviewer` and `style-reviewer`: the code is read. */
import { agent, contentsOf } from './task.mjs';

const FORBIDDEN = /\b(eval|Function|require|import|process|globalThis)\b/;
const MAX_COLUMNS = 100;

await agent({
  'security-reviewer'(task) {
    const [code] = contentsOf(task, 'code');
    const found = FORBIDDEN.exec(code);
    if (found !== null) throw new Error(`the code uses \`${found[0]}\``);
    return [{ name: 'security', kind: 'review', content: 'reaches for nothing outside of itself' }];
  },

  'style-reviewer'(task) {
    const [code] = contentsOf(task, 'code');
    const long = code.split('\n').filter((line) => line.length > MAX_COLUMNS).length;
    const words = long === 0 ? 'no line is too long' : `${long} lines are longer than ${MAX_COLUMNS} columns`;
    return [{ name: 'style', kind: 'review', content: words }];
  },
});
