/** The twelve hex digits by which people know a container or image. */
export const shortId = (id: string): string => id.replace(/^sha256:/, '').slice(0, 12);

/** Cuts to `width` characters, the last being `…`. */
export function ellipsis(words: string, width: number): string {
  const characters = Array.from(words);
  if (characters.length <= width) return words;
  return width <= 1 ? characters.slice(0, width).join('') : `${characters.slice(0, width - 1).join('')}…`;
}
