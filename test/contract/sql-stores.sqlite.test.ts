import { sqlite } from '../support/sql-engines.js';
import { sqlContracts } from './sql-stores.contract.js';

sqlContracts(sqlite);
