// The same for ES modules, which have a default export as well.

import * as towline from './index.js';

export * from './index.js';
export default towline;
