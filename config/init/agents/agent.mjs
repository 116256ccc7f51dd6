// An agent in Node: reads its task from stdin as JSON, may report progress, and prints one JSON result.
// Exit code 0 is a success, 75 asks to be tried again later, any other is a failure for good.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const task = JSON.parse(Buffer.concat(chunks).toString('utf8'));
const name = task.type === 'task' ? (task.input.name ?? 'world') : 'nobody';

const say = (progress) => process.stdout.write(`${JSON.stringify({ progress })}\n`);
const end = (result) => process.stdout.write(`${JSON.stringify(result)}\n`);
const contentOf = (wanted) => task.artifacts.findLast((artifact) => artifact.name === wanted)?.content ?? '';

// the effect of the publisher: a file per instance, so that doing it twice does no harm
const outbox = 'published';
const file = join(outbox, `${task.workflow_id}.txt`);

if (task.type === 'compensation') {
  // takes back what the stage did; must be right however often it is called
  if (task.role === 'publisher') rmSync(file, { force: true });
  process.stderr.write(`took ${task.stage_name} back: ${task.reason}\n`);
  end({ output: { undone: task.stage_name } });
} else if (task.role === 'greeter') {
  say('thinking of words');
  end({ artifacts: [{ name: 'greeting', kind: 'documentation', content: `Hello, ${name}!` }] });
} else if (task.role === 'reviewer') {
  const greeting = contentOf('greeting');
  if (greeting.length > 200) {
    process.stderr.write('the greeting is too long\n');
    process.exit(1);
  }
  end({
    artifacts: [{ name: 'verdict', kind: 'review', content: `"${greeting}" is fine` }],
    output: { approved: true },
  });
} else {
  mkdirSync(outbox, { recursive: true });
  writeFileSync(file, `${contentOf('greeting')}\n`);
  end({ artifacts: [{ name: 'receipt', kind: 'documentation', content: `published ${file}` }] });
}
