import { library } from '../../tsup.library.ts';

export default library(['src/index.ts', 'src/s3.ts', 'src/testing.ts']);
