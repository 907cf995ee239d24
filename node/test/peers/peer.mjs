// The package as a program of the interop suite, whose contract is in testing/interop/README.md:
//
//   python3 testing/interop/peers/peers.py run -- node node/test/peers/peer.mjs
import { createRequire } from 'node:module';
import { parseArgs } from 'node:util';
import { play, scenarios } from '../../../testing/interop/peers/scenarios.mjs';
import { serve } from '../../../testing/interop/peers/server.mjs';
import { library } from './towline.mjs';

const {
  values,
  positionals: [command, ...names],
} = parseArgs({
  allowPositionals: true,
  options: {
    listen: { type: 'string' },
    url: { type: 'string' },
    library: { type: 'string', default: '../../' },
  },
});
const subject = library(createRequire(import.meta.url)(values.library));

async function client() {
  let failures = 0;
  for (const name of names) {
    try {
      await play(name, subject, values.url);
      console.log(`ok ${name}`);
    } catch (error) {
      failures += 1;
      console.log(`FAIL ${name}: ${error.message.replace(/\s+/g, ' ')}`);
    }
  }
  process.exit(failures ? 1 : 0);
}

const known = names.length && names.every((name) => Object.hasOwn(scenarios, name));
if (command === 'serve' && values.listen) await serve(subject, values.listen);
else if (command === 'client' && values.url && known) await client();
else {
  console.error('peer.mjs: see testing/interop/README.md for what it takes');
  process.exit(2);
}
