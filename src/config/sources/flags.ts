import { JwtctlError } from '../../domain/shared/errors.js';
import { SETTINGS, type SettingPath } from '../settings.js';
import { assign, isSensitive, type Layer, type LayerBase } from './layer.js';
import { flagOrigin } from './setting-origin.js';

export function flagsLayer(flags: Readonly<Partial<Record<SettingPath, unknown>>>, base: LayerBase): Layer {
  const layer: Layer = { assignments: [], problems: [] };
  for (const setting of SETTINGS) {
    const raw = flags[setting.path];
    if (setting.flag === null || raw === undefined) continue;
    assign(layer, setting, raw, flagOrigin(setting.flag), base);
  }
  for (const { setting, origin } of layer.assignments.filter(isSensitive)) {
    layer.problems.push(
      new JwtctlError(
        'ERR_CONFIG_SECRET_IN_FLAG',
        `${origin.name} contains a password, which other users could read in the process list.`,
        {
          hint: `Leave the password out and set ${setting.path.split('.')[0]}.passwordFile, or set ${setting.variable}.`,
          details: { setting: setting.path },
        },
      ),
    );
  }
  return layer;
}
