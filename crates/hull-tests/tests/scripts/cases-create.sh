# What `create` makes of its flags, and what it refuses.
i() { echo "> $*"; engine create "${@:2}" --name zz "$IMAGE" true >/dev/null 2>&1 || echo "fail $?"; engine inspect -f "$1" zz 2>&1; engine rm zz >/dev/null 2>&1; }
t() { engine create "$@" "$IMAGE" true >/dev/null 2>&1; echo "$? $*"; }

i '{{json .HostConfig.CapAdd}} {{json .HostConfig.CapDrop}}' --cap-add net_admin --cap-add SYS_TIME --cap-drop all
i '{{json .HostConfig.Dns}} {{json .HostConfig.DnsSearch}} {{json .HostConfig.DnsOptions}}' --dns 1.1.1.1 --dns-search a.b --dns-option x
i '{{json .HostConfig.ExtraHosts}}' --add-host a:1.1.1.1 --add-host b:::1
i '{{json .HostConfig.GroupAdd}}' --group-add 5 --group-add tty
i '{{.HostConfig.Privileged}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.AutoRemove}}' --privileged --read-only --rm
i '{{json .HostConfig.SecurityOpt}} {{json .HostConfig.Sysctls}}' --security-opt no-new-privileges --sysctl net.ipv4.ip_forward=1
i '{{json .HostConfig.Tmpfs}} {{json .HostConfig.Ulimits}}' --tmpfs /a --tmpfs /b:size=1m --ulimit nofile=1:2 --ulimit cpu=3
i '{{json .HostConfig.RestartPolicy}} {{json .HostConfig.LogConfig}}' --restart on-failure:5 --log-opt max-size=1m --log-opt max-file=2
i '{{json .HostConfig.LogConfig}}' --log-opt mode=non-blocking --log-opt max-buffer-size=1m
i '{{.HostConfig.OomScoreAdj}} {{.HostConfig.PidsLimit}} {{.HostConfig.Init}}' --oom-score-adj 5 --pids-limit 7 --init
i '{{json .HostConfig.Devices}} {{json .HostConfig.DeviceCgroupRules}}' --device /dev/null:/dev/x:rw --device-cgroup-rule 'c 1:3 rwm'
i '{{.HostConfig.CpuPeriod}} {{.HostConfig.CpuQuota}} {{.HostConfig.CpuShares}} {{.HostConfig.CpusetCpus}}' --cpu-period 50000 --cpu-quota 20000 --cpu-shares 5 --cpuset-cpus 0-1
i '{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}} {{.HostConfig.PidsLimit}} {{.HostConfig.ShmSize}}' -m 64m
# A name that only JSON has turns the whole template to JSON, in which nothing has a type.
i '{{.HostConfig.NanoCpus}} {{.HostConfig.Memory}} {{.HostConfig.MemorySwappiness}} {{.HostConfig.Init}} {{.HostConfig.Binds}}' --cpus .5 -m 1g --memory-swap -1
i '{{.HostConfig.Init}} {{.HostConfig.PidsLimit}} {{.HostConfig.Binds}} {{.HostConfig.Sysctls}} {{.SizeRw}} {{.State.Health}}'
i '{{.Config.Hostname}} {{.Config.Domainname}} {{.Config.User}} {{.Config.WorkingDir}} {{.Config.StopSignal}} {{.Config.StopTimeout}}' -h a --domainname b -u c -w /d --stop-signal QUIT --stop-timeout 9
i '{{json .Config.Healthcheck}}' --health-cmd x --health-interval 1m --health-timeout 2s --health-retries 3 --health-start-period 4s
i '{{json .Config.Healthcheck}}' --no-healthcheck
i '{{.Config.Tty}} {{.Config.OpenStdin}} {{.Config.StdinOnce}} {{.Config.AttachStdin}} {{.Config.AttachStdout}} {{.Config.AttachStderr}}' -it
i '{{.Config.Tty}} {{.Config.OpenStdin}} {{.Config.StdinOnce}} {{.Config.AttachStdin}} {{.Config.AttachStdout}} {{.Config.AttachStderr}}' -i -a stdout
i '{{.Path}} {{.Args}} {{json .Config.Entrypoint}}' --entrypoint 'foo bar'
i '{{json .Config}}' -it -h hh -e A=1 -w /tmp -u www --stop-signal INT --stop-timeout 3 --expose 80 --health-cmd x -l a=b | sed 's#"Image":"[^"]*"##; s#"PATH[^"]*"##'
i '{{json .State}} {{.LogPath}}|{{.HostsPath}}|{{.ResolvConfPath}}'
i '{{range .Mounts}}{{.Type}} {{.Destination}} {{.Mode}} {{.RW}} {{.Propagation}};{{end}}' --mount type=bind,src=/usr,dst=/x,ro --mount type=tmpfs,dst=/z,tmpfs-size=1m | tr ';' '\n' | sort

for flag in --cpus -m --memory-reservation --memory-swappiness --pids-limit --cpuset-cpus --cpuset-mems --shm-size --restart --stop-timeout --stop-signal --ulimit --device-cgroup-rule --env-file --label-file --isolation --pid --uts --userns --cgroupns --runtime --log-driver --security-opt --sysctl --add-host --dns --mac-address -p --expose --volumes-from --tmpfs --mount -a --pull --health-interval --health-timeout --storage-opt --platform; do
    t "$flag" '@'
done
t --cpus 0.001; t -m 5m; t -m 10m --memory-reservation 20m; t -m 20m --memory-swap 10m; t --memory-swap 10m; t --memory-swappiness 101
t --cpu-period 1; t --cpu-quota 1; t --oom-score-adj 1001; t --restart always:1; t --restart on-failure:-1; t --health-retries -1
t --health-cmd x --no-healthcheck; t --health-interval 1ns; t --rm --restart no; t --rm --restart always; t -d; t --detach-keys x
t --log-opt mode=x; t --log-opt max-buffer-size=1m; t --log-opt x=1; t --name -x; t --name a; t -e ''; t -l =x; t --dns-search 'b@d'; t --ip x
engine ps -aq | wc -l; engine rm $(engine ps -aq) >/dev/null

shell() { echo "$1"; bash -c "$1" 2>/dev/null; echo "=> $?"; }
export IMAGE
head -c 65600 /dev/zero | tr '\0' x >long; (printf 'L='; cat long) >long.env
shell 'engine run --rm --network none --env-file long.env $IMAGE true'
shell 'engine run --cidfile nodir/c $IMAGE true'
shell 'engine run -d --network none $IMAGE nosuchprogram | wc -l'
shell 'engine create --cidfile c $IMAGE | wc -c; wc -c < c; engine create --cidfile c $IMAGE'
shell 'engine create --name /slash $IMAGE >/dev/null; engine inspect -f "{{.Name}}" slash /slash; engine rm /slash; engine rm --link nosuch; engine rm -l nosuch'
engine rm $(engine ps -aq) >/dev/null
