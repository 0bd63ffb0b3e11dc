// Starts the page. The only file that imports the package.

import { LoadBalancer } from './pkg/index.js';

import { explore } from './explore/mode.js';
import { live } from './live/mode.js';
import { replay } from './replay/mode.js';
import { startShell } from './shell/shell.js';

// A page opened from disk has no proxy behind it, and a browser complains of being asked for one.
const isServed = location.protocol !== 'file:';

startShell({ LoadBalancer, modes: isServed ? [explore, replay, live] : [explore, replay] });
