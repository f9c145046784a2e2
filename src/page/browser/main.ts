import type { PageData } from '../page-data.js';
import { byId } from './dom.js';
import { showLive } from './live.js';
import { reportView } from './report.js';

const data: PageData = JSON.parse(byId('data').textContent ?? '');
if (data.report === null) showLive(data.version);
else byId('page').replaceChildren(...reportView(data.report, data.version));
