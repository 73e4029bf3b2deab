import { CliError } from '../errors.ts';
import { codeOf } from '../failure.ts';
import { note } from '../output.ts';

/** Runs `make`, and says in Docker's words when the image of a new container isn't stored. */
export async function withImage<T>(
  { image, quiet }: { readonly image: string; readonly quiet: boolean },
  make: () => Promise<T>,
): Promise<T> {
  try {
    return await make();
  } catch (error) {
    const code = codeOf(error);
    if (code !== 'IMAGE_NOT_FOUND' && code !== 'ENGINE_NO_SUCH_IMAGE') throw error;
    const name = await familiar(image);
    if (!quiet) note(`Unable to find image '${name}' locally`);
    throw new CliError(
      'CLI_FAILED',
      `there is no registry client yet to pull ${name}: bring it with 'tsc load', 'tsc import' or 'tsc build'`,
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
