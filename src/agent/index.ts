/** The agent SDK: everything a program needs to be an agent of the engine. */
export {
  type Agent,
  type ArtifactFilter,
  type ArtifactReader,
  type CompensationTask,
  defineAgent,
  PermanentError,
  RetryableError,
  type Task,
  type TaskArtifact,
  type TaskContext,
  type TaskLog,
  type TaskResult,
} from './agent.js';
export { type ConnectedAgent, type ConnectOptions, connectAgent } from './connect.js';
