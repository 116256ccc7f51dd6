/** `vapora completion`: a script for a shell, made from the commands themselves. */
import type { Command } from 'commander';
import { nearest, quoted } from '../../config/text.js';
import { VaporaError } from '../../core/errors.js';
import type { Shell } from '../shell.js';

interface Word {
  readonly name: string;
  readonly about: string;
}

/** A command by its path, `dead-letters retry`; "" is the program. */
interface Node {
  readonly path: string;
  readonly commands: readonly Word[];
  readonly options: readonly (Word & { readonly takesValue: boolean })[];
}

const WRITERS: Readonly<Record<string, (nodes: readonly Node[]) => string>> = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
};
export const COMPLETION_SHELLS: readonly string[] = Object.keys(WRITERS);

export function completion(shell: Shell, program: Command, name: string): number {
  const writer = Object.hasOwn(WRITERS, name) ? WRITERS[name] : undefined;
  if (writer === undefined) {
    const near = nearest(name, COMPLETION_SHELLS);
    const hint = near === undefined ? `one of ${COMPLETION_SHELLS.join(', ')}` : `did you mean \`${near}\`?`;
    throw new VaporaError('usage', `there is no completion for ${quoted(name)}`, { hint });
  }
  const script = writer(nodesOf(program, ''));
  if (shell.isJson) shell.json({ shell: name, script });
  else shell.host.stdout.write(script);
  return 0;
}

function nodesOf(command: Command, path: string): Node[] {
  const options = command.createHelp().visibleOptions(command);
  const node: Node = {
    path,
    commands: command.commands.map((sub) => ({
      name: sub.name(),
      about: sub.summary() || sub.description(),
    })),
    options: options.map((option) => ({
      name: option.long ?? option.short ?? '',
      about: option.description,
      takesValue: option.required || option.optional,
    })),
  };
  const inner = command.commands.flatMap((sub) =>
    nodesOf(sub, path === '' ? sub.name() : `${path} ${sub.name()}`),
  );
  return [node, ...inner];
}

function wordsOf(node: Node): string {
  return [...node.commands, ...node.options].map(({ name }) => name).join(' ');
}

/** Commands come first on the line; the longest path of them that is known decides. */
function bashScript(nodes: readonly Node[]): string {
  const cases = nodes.map((node) => `    '${node.path}') words='${wordsOf(node)}' ;;`);
  const paths = nodes.filter(({ path }) => path !== '').map(({ path }) => `'${path}'`);
  return `# bash completion of vapora; try it with: source <(vapora completion bash)
_vapora() {
  local current="\${COMP_WORDS[COMP_CWORD]}" path='' word words=''
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "\${path:+$path }$word" in
    ${paths.join('|')}) path="\${path:+$path }$word" ;;
    esac
  done
  case "$path" in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  [ \${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- "$current"))
}
complete -F _vapora vapora
`;
}

function zshScript(nodes: readonly Node[]): string {
  const quote = (text: string) => `'${text.replaceAll("'", "'\\''").replaceAll(':', '\\:')}'`;
  const entry = ({ name, about }: Word) => quote(name).slice(0, -1).concat(':', quote(about).slice(1));
  const cases = nodes.map(
    (node) => `    '${node.path}') words_=(${[...node.commands, ...node.options].map(entry).join(' ')}) ;;`,
  );
  const paths = nodes.filter(({ path }) => path !== '').map(({ path }) => `'${path}'`);
  return `#compdef vapora
# zsh completion of vapora; try it with: source <(vapora completion zsh)
_vapora() {
  local path_='' word
  local -a words_
  for word in "\${(@)words[2,CURRENT-1]}"; do
    case "\${path_:+$path_ }$word" in
    ${paths.join('|')}) path_="\${path_:+$path_ }$word" ;;
    esac
  done
  case "$path_" in
${cases.join('\n')}
  esac
  _describe 'vapora' words_ || _files
}
compdef _vapora vapora
`;
}

function fishScript(nodes: readonly Node[]): string {
  const quote = (text: string) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
  const lines = nodes.flatMap((node) => {
    const when = `-n "__vapora_at ${quote(node.path)}"`;
    return [
      ...node.commands.map(
        ({ name, about }) => `complete -c vapora ${when} -f -a ${name} -d ${quote(about)}`,
      ),
      ...node.options.map(
        ({ name, about, takesValue }) =>
          `complete -c vapora ${when} -l ${name.replace(/^--/, '')}${takesValue ? ' -r' : ''} -d ${quote(about)}`,
      ),
    ];
  });
  const paths = nodes.map(({ path }) => quote(path)).join(' ');
  return `# fish completion of vapora; try it with: vapora completion fish | source
function __vapora_at
  set -l path ''
  for word in (commandline -opc)[2..-1]
    set -l longer (string trim -- "$path $word")
    contains -- $longer ${paths}; and set path $longer
  end
  test "$path" = "$argv[1]"
end
${lines.join('\n')}
`;
}
