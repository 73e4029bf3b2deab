import type { RequestListener } from 'node:http';
import type { Socket } from 'node:net';

/** Nobody has so many under way on one connection; each costs memory for as long as it waits. */
const WAITING_MAX = 100;

/** How many requests wait on a connection. */
const waiting = new WeakMap<Socket, number>();

/**
 * Answers the requests of a connection one after the other. A client may send the next before it has the answer to the last;
 * Node hands out all that have arrived, a thousand in one packet, and keeps the answers in memory until they can be sent, in
 * order. An answer gets the socket when it is its turn. Where the connection is lost before, its request is forgotten, because
 * nothing would ever tell that it is over.
 */
export function inTurn(handler: RequestListener): RequestListener {
  return (request, response) => {
    if (response.socket !== null) {
      handler(request, response);
      return;
    }
    const { socket } = request;
    const count = (waiting.get(socket) ?? 0) + 1;
    waiting.set(socket, count);
    if (count > WAITING_MAX) socket.destroy();
    response.once('socket', () => {
      waiting.set(socket, (waiting.get(socket) ?? 1) - 1);
      // Node has something to do first.
      process.nextTick(handler, request, response);
    });
  };
}
