/** A decision in the making: events so far and the state that they lead to. Lives within one call of `decide`. */
import type { WorkflowEvent } from './events.js';
import { evolve } from './evolve.js';
import type { Moment } from './inputs.js';
import { type StageState, stageAt, type WorkflowInstance } from './instance.js';
import { type StageTemplate, stageTemplateOf, type WorkflowTemplate } from './template.js';

export class Draft {
  readonly events: WorkflowEvent[] = [];
  readonly template: WorkflowTemplate;
  readonly moment: Moment;
  #state: WorkflowInstance;

  constructor(template: WorkflowTemplate, state: WorkflowInstance, moment: Moment) {
    this.template = template;
    this.#state = state;
    // a clock that jumped back while the engine was down must not make time run backwards in a history
    this.moment = moment.now >= state.updatedAt ? moment : { ...moment, now: state.updatedAt };
  }

  get state(): WorkflowInstance {
    return this.#state;
  }

  get now(): number {
    return this.moment.now;
  }

  emit(event: WorkflowEvent): void {
    this.#state = evolve(this.template, this.#state, event, { id: this.#state.id, at: this.now });
    this.events.push(event);
  }

  stage(name: string): StageState {
    return stageAt(this.template, this.#state, name);
  }

  stageTemplate(name: string): StageTemplate {
    return stageTemplateOf(this.template, name);
  }
}
