import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Nobody has so many under way on one connection; each costs memory for as long as it waits. */
const WAITING_MAX = 100;

interface Turns {
  /** The answer that is sent or made now. */
  current: ServerResponse | undefined;
  readonly waiting: (readonly [request: IncomingMessage, response: ServerResponse])[];
}

const connections = new WeakMap<Socket, Turns>();

/**
 * Answers the requests of a connection one after the other. A client may send the next before it has the answer to the last;
 * Node hands out all that have arrived, a thousand in one packet, and keeps the answers in memory until they can be sent, in
 * order. Requests that wait when a connection is lost are forgotten: nothing would ever tell that their answers are over.
 */
export function inTurn(handler: RequestListener): RequestListener {
  const answer = (turns: Turns, request: IncomingMessage, response: ServerResponse): void => {
    turns.current = response;
    response.once('close', () => {
      turns.current = undefined;
      const next = turns.waiting.shift();
      if (next === undefined) return;
      // Node gives the connection to the next answer, unless there is none to come on it.
      if (next[1].socket === null) turns.waiting.length = 0;
      else answer(turns, ...next);
    });
    handler(request, response);
  };
  return (request, response) => {
    const { socket } = request;
    let turns = connections.get(socket);
    if (turns === undefined) connections.set(socket, (turns = { current: undefined, waiting: [] }));
    // A server and the registry in it may both see to turns.
    if (turns.current === response) handler(request, response);
    else if (turns.current === undefined || turns.current.closed) answer(turns, request, response);
    else if (turns.waiting.push([request, response]) > WAITING_MAX) socket.destroy();
  };
}
