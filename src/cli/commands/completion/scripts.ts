/** `:files` stands for the names of files. */
export const COMPLETION_SCRIPTS = {
  bash: `# To install: jwtctl completion bash > ~/.local/share/bash-completion/completions/jwtctl
_jwtctl() {
  local line prefix words typed=\${COMP_LINE:0:COMP_POINT}
  read -ra words <<< "$typed"
  [[ $typed == *[[:space:]] ]] && words+=("")
  # Bash replaces only what follows the last of =, :, and @.
  prefix=\${words[-1]%"\${words[-1]##*[=:@]}"}
  COMPREPLY=()
  while IFS= read -r line; do
    if [[ $line == :files ]]; then
      compopt -o default
      return
    fi
    line=\${line%%$'\\t'*}
    [[ -n $line ]] || continue
    # Bash inserts a reply as it is, and would run a command in it.
    printf -v line %q "\${line#"$prefix"}"
    COMPREPLY+=("$line")
  done < <("\${words[0]/#~\\//$HOME/}" completion bash -- "\${words[@]:1}" 2>/dev/null)
}
complete -F _jwtctl jwtctl`,

  zsh: `#compdef jwtctl
# To install: jwtctl completion zsh > a folder in $fpath, as _jwtctl
_jwtctl() {
  local line
  local -a items
  for line in "\${(@f)$(\${~words[1]} completion zsh -- "\${(@Q)words[2,CURRENT-1]}" "\${(Q)PREFIX}" 2>/dev/null)}"; do
    if [[ $line == :files ]]; then
      compset -P '--[a-z-]#='
      _files
      return
    fi
    # _describe reads value:description, and adds no description where there is no colon.
    [[ -n $line ]] && items+=("\${\${line//:/\\\\:}/$'\\t'/:}")
  done
  _describe jwtctl items
}
if [[ \${funcstack[1]} == _jwtctl ]]; then
  _jwtctl
else
  compdef _jwtctl jwtctl
fi`,

  fish: `# To install: jwtctl completion fish > ~/.config/fish/completions/jwtctl.fish
function __jwtctl_complete
  set -l words (commandline -opc)
  set -l typed (commandline -ct)
  set -l program (string replace -r '^~/' "$HOME/" -- $words[1])
  set -l lines ($program completion fish -- $words[2..] $typed 2>/dev/null)
  if test "$lines" = ":files"
    set -l flag (string match -r '^--[a-z-]+=' -- $typed)
    printf '%s\\n' "$flag"(__fish_complete_path (string replace -- "$flag" '' $typed))
  else
    printf '%s\\n' $lines
  end
end
complete -c jwtctl -f -a '(__jwtctl_complete)'`,
};

export type Shell = keyof typeof COMPLETION_SCRIPTS;
