/** For tests of pipelines: the engine without disk and without waiting. */
export { TestClock } from './test-clock.js';
export { openTestEngine, type TestEngine, type TestEngineOptions, type TestStart } from './test-engine.js';
