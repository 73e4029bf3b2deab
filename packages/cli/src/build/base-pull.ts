import type { BasePullEvent } from '@tsc/builder';

import { oneLine } from '../failure.ts';
import { PullSteps } from '../progress/transfer.ts';
import type { ProgressView } from '../progress/view.ts';

/** Shows the base images that a build pulls, each as a step that comes before the first. */
export class BasePulls implements Disposable {
  readonly #open: (prefix: string) => ProgressView;
  readonly #now: () => number;
  #view: ProgressView | undefined;
  #steps = new PullSteps();
  #started = 0;

  constructor(open: (prefix: string) => ProgressView, now: () => number) {
    this.#open = open;
    this.#now = now;
  }

  follow(event: BasePullEvent): void {
    if (event.type === 'pull-started') this.#begin(event.reference, event.platform);
    else if (event.event.type === 'layer') for (const item of this.#steps.items(event.event)) this.#view?.show(item);
    else if (event.event.type === 'resolved') this.#view?.line(`resolve ${oneLine(event.event.reference)}`);
    else this.#end(event.event.digest);
  }

  [Symbol.dispose](): void {
    this.#view?.[Symbol.dispose]();
    this.#view = undefined;
  }

  #begin(reference: string, platform: string): void {
    this[Symbol.dispose]();
    this.#started = this.#now();
    this.#steps = new PullSteps();
    this.#view = this.#open('#0 ');
    this.#view.line(`pull ${oneLine(reference)} for ${platform}`);
  }

  #end(digest: string): void {
    this.#view?.line(digest);
    this.#view?.line(`DONE ${((this.#now() - this.#started) / 1000).toFixed(1)}s\n`);
    this[Symbol.dispose]();
  }
}
