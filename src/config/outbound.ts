/** `[engine.outbound]`: whom agents that are called over the network may be. */
import ipaddr from 'ipaddr.js';
import { type DocumentNode, originOf } from './document.js';
import type { Report } from './report.js';
import { list, optional, type RowOf, table, text } from './shape.js';
import { quoted } from './text.js';

const MAX_HOSTS = 1_000;

export const outboundShape = table('`[engine.outbound]`', {
  hosts: optional(
    list(text('a host'), { min: 0, max: MAX_HOSTS }, 'hosts'),
    'Hosts that the engine may call: a name, `*.` and a domain, or an address; with `:port` only that port. Nobody else is called.',
    [],
  ),
  networks: optional(
    list(text('a network'), { min: 0, max: MAX_HOSTS }, 'networks'),
    'Networks such as `10.0.0.0/8` that these hosts may be in although they are private, loopback or link-local.',
    [],
  ),
});

export interface HostRule {
  /** In lower case; of a wildcard what comes after `*.`. */
  readonly host: string;
  readonly isWildcard: boolean;
  /** Null: every port. */
  readonly port: number | null;
}

export interface OutboundSettings {
  readonly hosts: readonly HostRule[];
  /** In the notation `address/bits`. */
  readonly networks: readonly string[];
}

export function buildOutbound(
  row: RowOf<typeof outboundShape> | undefined,
  root: DocumentNode,
  report: Report,
): OutboundSettings {
  const refuse = (key: string, index: number, what: string, expected: string) => {
    const path = ['engine', 'outbound', key, index];
    report.error({
      message: `\`engine.outbound.${key}\` names ${what}`,
      path,
      origin: originOf(root, path),
      expected,
    });
    return [];
  };
  const hosts = (row?.hosts ?? []).flatMap((written, index) => {
    if (written === undefined) return [];
    const rule = hostRule(written);
    return (
      rule ??
      refuse('hosts', index, `${quoted(written)}, which is no host`, 'a name or an address, without a scheme')
    );
  });
  const networks = (row?.networks ?? []).flatMap((written, index) => {
    if (written === undefined) return [];
    if (ipaddr.isValidCIDR(written)) return [written];
    return refuse(
      'networks',
      index,
      `${quoted(written)}, which is no network`,
      'an address, `/` and a number of bits',
    );
  });
  return { hosts, networks };
}

function hostRule(written: string): HostRule | null {
  const [, stars = '', rest = ''] = /^(\*\.)?(.*)$/.exec(written) ?? [];
  const url = `http://${rest}/`;
  if (rest === '' || !URL.canParse(url)) return null;
  const { hostname, port, username, pathname, host } = new URL(url);
  // port 80 is what the URL leaves out
  const isWhole = username === '' && pathname === '/' && rest.toLowerCase().startsWith(host.toLowerCase());
  if (!isWhole) return null;
  const explicit = /:(\d+)$/.exec(rest.replace(/^\[.*\]/, ''))?.[1];
  return {
    host: hostname.toLowerCase(),
    isWildcard: stars !== '',
    port: explicit === undefined ? null : Number(port === '' ? 80 : port),
  };
}

/** Whether the URL's host and port are listed. */
export function isListed({ hosts }: OutboundSettings, url: URL): boolean {
  const host = url.hostname.toLowerCase();
  const port = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port);
  return hosts.some((rule) => {
    if (rule.port !== null && rule.port !== port) return false;
    return rule.isWildcard ? host.endsWith(`.${rule.host}`) : host === rule.host;
  });
}
