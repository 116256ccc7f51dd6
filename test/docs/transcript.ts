/**
 * Runs what a document tells its reader to do, in a new directory. A block whose info string names a `file=` is written there; the
 * lines of a `console` block that begin with `$ ` are typed into one shell, and what follows each is what it should print.
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { ROOT } from '../tidy/source.js';

const BLOCK = /^```(\S+)(?: file=(\S+))?\n([\s\S]*?)^```$/gm;
/** Ends the output of a command; no program prints it by chance. */
const END = '\u001e';
const COMMAND_TIMEOUT_MS = 30_000;

/**
 * The document as it would be if it showed what its commands print now. Where only times, ids and hashes differ from what it shows,
 * the document's own text is kept.
 */
export async function replay(document: string): Promise<string> {
  const reader = new Reader();
  try {
    let replayed = '';
    let end = 0;
    for (const match of document.matchAll(BLOCK)) {
      const [block, language = '', file, body = ''] = match;
      if (file !== undefined) writeFileSync(join(reader.directory, file), body);
      const shown = language === 'console' ? await reader.follow(body) : body;
      replayed += document.slice(end, match.index) + block.replace(body, () => shown);
      end = match.index + block.length;
    }
    return replayed + document.slice(end);
  } finally {
    reader.close();
  }
}

/** Somebody who has `vapora` in the path, an empty directory and one shell. */
class Reader {
  readonly directory: string;
  readonly #home = mkdtempSync(join(tmpdir(), 'vapora-reader-'));
  readonly #shell: ChildProcessWithoutNullStreams;
  #printed = '';
  #onPrinted: () => void = () => {};

  constructor() {
    this.directory = join(this.#home, 'tour');
    const bin = join(this.#home, 'bin');
    for (const directory of [this.directory, bin]) mkdirSync(directory);
    symlinkSync(join(ROOT, 'bin', 'vapora'), join(bin, 'vapora'));
    const env = { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH}`, USER: 'you', NO_COLOR: '1' };
    this.#shell = spawn('bash', ['--norc'], { cwd: this.directory, env });
    for (const stream of [this.#shell.stdout, this.#shell.stderr]) {
      stream.setEncoding('utf8').on('data', (chunk) => {
        this.#printed += chunk;
        this.#onPrinted();
      });
    }
    this.#shell.stdin.write('exec 2>&1\n');
  }

  /** The block with what its commands print. */
  async follow(block: string): Promise<string> {
    let shown = '';
    for (const part of block.split(/^(?=\$ )/m)) {
      const { command, output } = partsOf(part);
      const printed = await this.#type(command);
      shown += `$ ${command}\n${steady(printed) === steady(output) ? output : printed}`;
    }
    return shown;
  }

  async #type(command: string): Promise<string> {
    this.#printed = '';
    // the status is put back for whoever asks for `$?` next
    this.#shell.stdin.write(`{ ${command}\n} </dev/null\nstatus=$?; printf '${END}'; (exit $status)\n`);
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`\`${command}\` does not end`)), COMMAND_TIMEOUT_MS);
      this.#onPrinted = () => {
        if (!this.#printed.includes(END)) return;
        clearTimeout(timer);
        resolve();
      };
      this.#onPrinted();
    });
    const printed = this.#printed.slice(0, this.#printed.indexOf(END));
    // a shell that is no terminal says more about a killed program than one that is
    const plain = printed.replaceAll(this.#home, '~').replace(/^.*\b\d+ Killed\b.*$/m, 'Killed');
    return plain === '' || plain.endsWith('\n') ? plain : `${plain}\n`;
  }

  close(): void {
    this.#shell.kill('SIGKILL');
    rmSync(this.#home, { recursive: true, force: true });
  }
}

/** A command may go on over several lines that end with a backslash. */
function partsOf(part: string): { command: string; output: string } {
  const [, command = '', output = ''] = /^\$ ((?:.*\\\n)*.*)\n([\s\S]*)$/.exec(part) ?? [];
  return { command, output };
}

/** Without what is different every time. */
function steady(text: string): string {
  return (
    text
      .replace(/\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z/g, 'TIME')
      .replace(/\b[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\b/g, 'ID')
      .replace(/\b[0-9a-f]{12}\b/g, 'HASH')
      .replace(/ *\+?\b\d+(\.\d+)?m?s\b/g, ' DURATION')
      .replace(/ *\b\d+m \d\ds\b/g, ' DURATION')
      // an agent's start shares a commit with its end, or does not
      .replace(/\b\d+ events in \d+ entries\b/g, 'ENTRIES')
      // columns are as wide as what is in them
      .replace(/ {2,}/g, ' ')
  );
}
