import { CliError } from '../errors.ts';
import { codeOf } from '../failure.ts';

/** Runs `make`, and says what can be done when the image of a new container isn't stored. */
export async function withImage<T>(image: string, make: () => Promise<T>): Promise<T> {
  try {
    return await make();
  } catch (error) {
    if (codeOf(error) !== 'IMAGE_NOT_FOUND') throw error;
    throw new CliError(
      'CLI_FAILED',
      `no such image: ${await familiar(image)} (there is no registry client yet: bring it with tsc import, load or build)`,
      { exitCode: 125, cause: error },
    );
  }
}

async function familiar(image: string): Promise<string> {
  const { formatFamiliarReference, parseReference } = await import('@tsc/image');
  try {
    return formatFamiliarReference(parseReference(image));
  } catch {
    return image; // an id
  }
}
