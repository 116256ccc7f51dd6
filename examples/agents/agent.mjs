// An agent in JavaScript, by the SDK: looks whether what was published says what it should.
import { connectAgent, defineAgent, PermanentError } from 'vapora-workflow-engine/agent';

const verifier = defineAgent({
  name: 'verifier',
  roles: ['verifier'],

  async execute(task, ctx) {
    ctx.progress('reading what was published', 0.5);
    const published = await ctx.artifacts.text('published');
    const wanted = String(task.input?.must_say ?? '');
    if (!published.includes(wanted)) throw new PermanentError(`it does not say "${wanted}"`);
    return { artifacts: [{ name: 'verdict', kind: 'review', content: { ok: true } }] };
  },
});

const [url = 'http://127.0.0.1:8420'] = process.argv.slice(2);
const connection = await connectAgent(verifier, { url, version: '1.0.0' });
console.log('verifier is there');
await connection.closed;
