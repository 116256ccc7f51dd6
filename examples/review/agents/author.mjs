/** Roles `architect`, `developer` and `writer`: what is written. */
import { agent, contentOf, contentsOf } from './task.mjs';

await agent({
  architect({ input: { name, purpose, parameter = 'text', examples } }) {
    if (!/^[a-z]\w*$/i.test(name ?? '')) throw new Error('the input has no `name` that a function may have');
    if (!Array.isArray(examples) || examples.length === 0)
      throw new Error('nobody could test it without `examples`');
    const lines = examples.map(
      ([given, wanted]) => `- ${JSON.stringify(given)} becomes ${JSON.stringify(wanted)}`,
    );
    const adr = [`# A function \`${name}(${parameter})\``, '', purpose, '', ...lines, ''].join('\n');
    return [{ name: 'design', kind: 'adr', content: adr }];
  },

  developer(task) {
    const { name, parameter = 'text', body } = task.input;
    const [title] = contentOf(task, 'design').split('\n');
    const code = `// ${title.slice(2)}\nexport function ${name}(${parameter}) {\n${body.map((line) => `  ${line}\n`).join('')}}\n`;
    return [{ name: `${name}.mjs`, kind: 'code', content: code }];
  },

  writer(task) {
    const [design] = contentsOf(task, 'adr');
    const [code] = contentsOf(task, 'code');
    const findings = [...contentsOf(task, 'test_results'), ...contentsOf(task, 'review')];
    const page = [
      design,
      '```js',
      code.trimEnd(),
      '```',
      '',
      ...findings.map((finding) => `- ${finding}`),
      '',
    ].join('\n');
    return [{ name: 'README.md', kind: 'documentation', content: page }];
  },
});
