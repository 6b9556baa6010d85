# Lists, templates, messages of the command itself.
shell() { echo "> $1"; bash -c "$1" 2>/dev/null | sed -E 's/\b(docker|hull|engine)\b/X/g; s/[0-9a-f]{64}/ID/g; s/\b[0-9a-f]{12}\b/SHORT/g'; echo "=> ${PIPESTATUS[0]}"; }
export IMAGE
engine create --name bb -l k=v -v /x "$IMAGE" a 'b c' 'd"e' >/dev/null
engine create --name cc "$IMAGE" true >/dev/null
for format in raw '{{.Nope}}' 'table {{.Names}}\t{{.Status}}' '{{json .Names}} {{upper .Names}} {{printf "%-5s|" .Names}}' 'table {{json .Names}}' '{{.Label "k"}}|{{.Labels}}' '{{.Names' '{{nofunc .}}' json 'table' ''; do
    shell "engine ps -a --format '$format' --filter name=bb | sed -E 's/(Less than a|[0-9]+) seconds?/N/; s/created_at.*//; s/\"CreatedAt\".*//; s#[0-9.:]+/busybox[^ ]*#IMAGE#; s/  +/ /g'"
done
f() { echo "> $1"; engine inspect -f "$1" bb 2>/dev/null; echo "=$?"; }
f '{{range $k, $v := .Config.Labels}}{{$k}}={{$v}};{{end}}'; f '{{with .Config.Labels}}{{.k}}{{end}}'; f '{{if .State.Running}}r{{else if .State.Paused}}p{{else}}n{{end}}'
f '{{join .Config.Cmd "-"}}{{title "abc def"}}{{split .Name "b"}}'; f '{{printf "%s %d %v %q %x %5.2f" .Name 3 true "a" 255 1.5}}'; f '{{slice .Name 1}}{{slice .Config.Cmd 1 2}}'
f '{{eq .Name "/bb"}}{{ne 1 2}}{{lt 1 2}}{{ge 3 2}}{{and true .Name}}{{or "" "x"}}{{not true}}'; f '{{.Nope}}'; f '{{.Config.Labels.nope}}'; f '{{index .Config.Labels "nope"}}'; f '{{index .Config.Cmd 9}}'
f '{{html "<a>"}}{{js "a\"b"}}{{urlquery "a b"}}{{print 1 2 "x"}}{{println .Name}}'; f '{{- .Name -}}  x{{/* c */}}'; f '{{$x := 1}}{{$x}}{{$x = 2}}{{$x}}'; f '{{define "t"}}[{{.}}]{{end}}{{template "t" .Name}}'
f '{{range .Config.Cmd}}{{if eq . "b c"}}{{continue}}{{end}}{{.}} {{end}}{{range .HostConfig.Binds}}x{{else}}none{{end}}'; f '{{'; f '{{end}}'; f 'plain'; f '{{json .Config.Cmd | len}}'; f '{{`raw`}}{{1.5}}{{0x10}}'; f '{{nil}}'
f '{{(index .Mounts 0).Type}} {{(index .Mounts 0).Destination}} {{index .Mounts 0 "Type"}}'; f '{{.Id}}{{.ID}}' | sed -E 's/[0-9a-f]{64}/ID/g'; f '{{gt .State.ExitCode 5}} {{truncate .Name 2}} {{pad "x" 1 2}}|'
engine rm -v bb cc >/dev/null

for arguments in '' bogus 'bogus --help' --bogus 'run --help' 'help run' 'help ps' 'help bogus' 'ps -h' 'ps --bogus' 'ps -z' 'ps --filter' 'ps -n x' 'ps --all=maybe' '-l bogus ps' '-D ps -q' '--log-level debug ps -q' '--context nosuch ps' '-c default ps -q' container 'container bogus' 'container rm' 'container inspect' 'run --name' 'rm -x' 'ps -aq --no-tru' system 'system bogus' 'image bogus' 'volume --help' 'run -h' 'run' 'create' 'exec' 'exec x' 'start' 'stop' 'kill' 'wait' 'logs' 'logs a b' 'rename x' 'cp x' 'diff' 'export' 'import' 'commit' 'tag x' 'save' 'rmi' 'history' 'top' 'port' 'attach' 'inspect' 'update' 'volume rm' 'volume inspect' 'network inspect' 'version x' 'info x' 'info -f {{.Nope}}' 'version -f {{.Nope}}' 'events x' 'events --since x' 'search' 'pull' 'pull a b' 'pull UPPER' 'images a b' 'system df x' 'stats x --no-stream' 'inspect --type x y' 'stop -t x y' 'logs --tail x y'; do
    shell "engine $arguments | head -3 | grep -vE 'self-sufficient|machines of their own|volumes$|^Usage:  X .OPTIONS. COMMAND$'; (exit \${PIPESTATUS[0]})"
done
shell "engine info -f '{{.Containers}} {{.OSType}} {{.Swarm.LocalNodeState}} {{json .Plugins.Volume}}'"
shell "engine version -f '{{.Client.Os}} {{.Server.Os}}'; engine version -f '{{.Client.APIVersion}}' | wc -l"
shell "engine images --format raw | grep -E '^tag'; engine volume create vv; engine volume ls --format raw; engine volume rm vv"
shell "engine save \$IMAGE | engine load -q; engine save \$IMAGE | engine load; engine load -i nosuch"
