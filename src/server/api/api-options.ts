import type { AppOptions } from '../app-options.js';
import type { ApiServices } from './services.js';

export interface ApiOptions extends AppOptions {
  services: ApiServices;
}
