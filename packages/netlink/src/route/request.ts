import type { Message } from '../wire/message.ts';

/** One change for `RouteSocket.batch`: plain data, made by the pure builders `addBridge`, `setLink`, … */
export interface RouteRequest {
  /** What it does, for the error that names it: `'add bridge tsc0'`. */
  readonly description: string;
  readonly message: Message;
}
