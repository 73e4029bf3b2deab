/**
 * Makes a test of patterns for names and tags: whether a text matches any of them, as a whole.
 *
 * `*` is any text without a slash, `**` any text, and `**` in front of a slash may be nothing together with it, where it
 * begins a component: `**` + `/app` is `app` and `team/app`. `prod/**` is everything below `prod`, without `prod` itself.
 * Everything else stands for itself.
 *
 * @returns takes time in proportion to the text's length times the patterns', whatever they are
 * @throws TypeError: a pattern is empty
 */
export function compilePatterns(patterns: readonly string[]): (text: string) => boolean {
  if (patterns.includes('')) throw new TypeError('a pattern is empty, and would match nothing');
  const literals = new Set(patterns.filter((pattern) => !pattern.includes('*')));
  const matchers = patterns.filter((pattern) => pattern.includes('*')).map((pattern) => compilePattern(pattern));
  return (text) => literals.has(text) || matchers.some((matches) => matches(text));
}

/** A character, or one of these. */
type Step = string;
const WITHIN = '*';
const ACROSS = '**';
/** The next two steps, which are `**` and a slash, may be left out. */
const OPTIONAL = '**/';

function stepsOf(pattern: string): readonly Step[] {
  return Array.from(pattern.matchAll(/(?:^|(?<=\/))\*\*+\/|\*+|[^*]/g), ([found]) => {
    if (!found.startsWith('*')) return [found];
    if (found.endsWith('/')) return [OPTIONAL, ACROSS, '/'];
    return [found === '*' ? WITHIN : ACROSS];
  }).flat();
}

/** Walks all ways through a pattern at once: a set of places in it, for each character of the text. */
function compilePattern(pattern: string): (text: string) => boolean {
  const literal = pattern.slice(0, pattern.indexOf('*'));
  if (pattern === `${literal}**`) return (text) => text.startsWith(literal);
  const steps = stepsOf(pattern);
  const enter = (places: Set<number>, place: number): void => {
    if (places.has(place)) return;
    places.add(place);
    const step = steps[place];
    if (step === WITHIN || step === ACROSS || step === OPTIONAL) enter(places, place + 1);
    if (step === OPTIONAL) enter(places, place + 3);
  };
  return (text) => {
    if (!text.startsWith(literal)) return false;
    let places = new Set<number>();
    enter(places, 0);
    for (const character of text) {
      const next = new Set<number>();
      for (const place of places) {
        const step = steps[place];
        if (step === character) enter(next, place + 1);
        else if (step === ACROSS || (step === WITHIN && character !== '/')) enter(next, place);
      }
      places = next;
    }
    return places.has(steps.length);
  };
}
