import type { Context } from '../../../app/context.js';
import type { EditedFile, EditOrigins, Edits } from '../../../config/edit-config.js';
import type { Config, ConfigSources } from '../../../config/load-config.js';
import type { SettingPath } from '../../../config/settings.js';
import type { Origin } from '../../../config/sources/setting-origin.js';
import type { PublicFile } from '../../../domain/ports/index.js';
import type { Invocation } from '../../invocation.js';

/** The configuration file to write, and the settings before it is written. */
export interface Target {
  readonly file: PublicFile;
  /** Null if there is no file yet. */
  readonly text: string | null;
  readonly profile: string | null;
  readonly today: Config;
  edit(edits: Edits): Promise<EditedFile>;
  /** Opens the stores as they would be after the edits. */
  open(edits: Edits, origins: EditOrigins): Promise<Context>;
}

export async function openTarget({ configSources, ownFile, openWith }: Invocation): Promise<Target> {
  const [{ loadConfig }, { chooseTarget, editConfig, withoutVariables }] = await Promise.all([
    import('../../../config/load-config.js'),
    import('../../../config/edit-config.js'),
  ]);
  // A project file may come from another user, and its values must not get into the user's own file.
  const sources: ConfigSources = { ...configSources, projectFile: false };
  const path = chooseTarget(sources);
  const file = ownFile(path, { createFolder: true });
  const text = await file.read();
  const profile = sources.profile ?? (sources.env.JWTCTL_PROFILE || null);
  const edit = (edits: Edits) => editConfig({ path, text, profile }, edits, sources);
  const load = async (edits: Edits, originOf?: (path: string) => Origin | undefined) => {
    const written = edits.size === 0 && profile === null ? (text ?? '') : (await edit(edits)).text;
    return loadConfig({ ...withoutVariables(sources, edits), replaced: { path, text: written, originOf } });
  };
  const today = await load(new Map());
  return {
    file,
    text,
    profile,
    today,
    edit,
    // The edits change the line numbers of other settings, so messages use the present ones.
    open: async (edits, origins) =>
      openWith(
        await load(edits, (path) => origins.get(path as SettingPath) ?? today.origins[path as SettingPath]),
      ),
  };
}
