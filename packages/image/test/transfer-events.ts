/** Everything that a transfer tells. */
export const allOf = async <E>(events: AsyncIterable<E>): Promise<readonly E[]> => {
  const all: E[] = [];
  for await (const event of events) all.push(event);
  return all;
};
