// Starts the page. The only file that imports the package.

import { LoadBalancer } from './pkg/index.js';

import { explore } from './explore/mode.js';
import { live } from './live/mode.js';
import { startShell } from './shell/shell.js';

startShell({ LoadBalancer, modes: [explore, live] });
