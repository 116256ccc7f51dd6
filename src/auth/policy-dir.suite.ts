/** Policy directories and requests for the tests of this folder. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VaporaError } from '../core/errors.js';
import type { AuthorizationRequest } from '../core/ports.js';
import { CedarAuthorizer } from './cedar.js';
import { parsePolicyTest } from './policy-test.js';

const made: string[] = [];
const open: CedarAuthorizer[] = [];

/** A directory with the files given; `null` makes a directory of that name. */
export async function policyDir(files: Readonly<Record<string, string | null>>): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'vapora-policies-'));
  made.push(path);
  for (const [name, text] of Object.entries(files)) {
    if (text === null) await mkdir(join(path, name));
    else await writeFile(join(path, name), text);
  }
  return path;
}

export async function authorizerOf(
  files: Readonly<Record<string, string | null>>,
): Promise<{ authorizer: CedarAuthorizer; path: string }> {
  const path = await policyDir(files);
  const authorizer = await CedarAuthorizer.loadFromDir(path);
  open.push(authorizer);
  return { authorizer, path };
}

/** For `afterEach`. */
export async function cleanUp(): Promise<void> {
  for (const authorizer of open.splice(0)) authorizer.close();
  for (const path of made.splice(0)) await rm(path, { recursive: true, force: true });
}

/** The error that the promise rejects with. */
export async function refusalOf(promise: Promise<unknown>): Promise<VaporaError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof VaporaError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

export function executeStage(context: Record<string, unknown> = {}): AuthorizationRequest {
  return parsePolicyTest({
    principal: 'Orchestrator::"vapora-orchestrator"',
    action: 'execute-stage',
    resource: 'Stage::"deploy" in Workflow::"release"',
    context: JSON.stringify(context),
  });
}

export function approve(by: string, context: Record<string, unknown> = {}): AuthorizationRequest {
  return parsePolicyTest({
    principal: by,
    action: 'approve-stage',
    resource: 'Stage::"deploy" in Workflow::"release"',
    context: JSON.stringify(context),
  });
}
