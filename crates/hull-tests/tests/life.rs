//! What happens to containers while they live, told by the same scripts under docker and Hull.

use hull_tests::{Docker, Home, Image, Registry, same_as_docker, skip};

#[track_caller]
fn same(scripts: &[&str]) {
    let docker = match Docker::start() {
        Ok(docker) => docker,
        Err(reason) => return skip(&format!("no docker to compare with: {reason}")),
    };
    let registry = Registry::with_images(&[Image::Busybox]);
    let home = Home::configured("[pool]\nsize = 0\n");
    home.pull(&registry, &[Image::Busybox]);
    docker.pull(&registry, &[Image::Busybox]);
    let image = registry.name(&Image::Busybox);
    let scripts = scripts.join("\n");
    let prelude = format!("c() {{ engine \"$@\"; }}\nimage={image}");
    same_as_docker(&docker, &home, &format!("{prelude}\n{scripts}"));
}

#[test]
fn restarts_and_health_are_dockers() {
    same(&[
        "c run -d --name x --network none --restart on-failure:2 $image sh -c 'exit 3' >/dev/null
         for i in $(seq 100); do
           [ \"$(c inspect -f '{{.State.Status}} {{.RestartCount}}' x)\" = 'exited 2' ] && break
           sleep 0.2
         done
         c inspect -f '{{.State.Status}} {{.RestartCount}} {{.State.ExitCode}} {{json .HostConfig.RestartPolicy}}' x
         c rm x",
        "c run -d --name x --network none --restart always $image sh -c 'exit 0' >/dev/null; sleep 9
         c ps -a --format '{{.Status}}' | sed 's/ [0-9]* sec.*//; s/ Less.*//'
         c inspect -f '{{.State.Running}} {{.State.Restarting}} {{.State.Status}}' x
         c rm x; c exec x ls; c pause x; c start x; c stop x
         c inspect -f '{{.State.Running}} {{.State.Restarting}} {{.State.Status}}' x; c rm x",
        "c run --rm --restart always $image true; echo $?; c run --restart foo $image true; echo $?
         c run --restart on-failure:x $image true; echo $?; c ps -aq | wc -l",
        "c run -d --name x --network none --health-cmd 'echo fine; test -e /ok' --health-interval 1s \
           --health-retries 2 $image sleep 1000 >/dev/null
         c ps --format '{{.Status}}' | sed 's/Up.*(/Up (/'; sleep 5
         c inspect -f '{{.State.Health.Status}} {{(index .State.Health.Log 0).ExitCode}} {{(index .State.Health.Log 0).Output}}' x
         c ps --filter health=unhealthy --format '{{.Names}}'; c exec x touch /ok; sleep 3
         c inspect -f '{{.State.Health.Status}} {{.State.Health.FailingStreak}} {{json .Config.Healthcheck}}' x
         c stop -t 0 x; c inspect -f '{{.State.Health.Status}}' x; c rm x",
        "c run -d --name x --network none --health-cmd 'sleep 9' --health-interval 1s --health-retries 1 \
           --health-timeout 1s $image sleep 1000 >/dev/null; sleep 6
         c inspect -f '{{.State.Health.Status}} {{(index .State.Health.Log 0).ExitCode}} {{(index .State.Health.Log 0).Output}}' x
         c rm -f x",
        "c run --no-healthcheck --health-cmd x $image true; echo $?; c run --health-interval -1s $image true; echo $?",
    ]);
}

#[test]
fn flags_logs_and_limits_are_dockers() {
    same(&[
        "r='c run --rm --network none'
         $r --group-add 1234 --group-add 20 $image id -G
         $r --add-host foo:10.1.2.3 --add-host bar:::1 $image grep -E 'foo|bar' /etc/hosts
         $r --dns 1.2.3.4 --dns-search example.com --dns-option ndots:3 $image cat /etc/resolv.conf
         $r --dns foo $image true; echo $?
         $r --oom-score-adj 100 $image cat /proc/self/oom_score_adj
         $r --cpuset-cpus 0 $image nproc; $r --cpuset-cpus 99 $image nproc; echo $?
         $r --security-opt seccomp=unconfined $image grep Seccomp: /proc/self/status
         $r --security-opt foo $image true; echo $?
         $r --device /dev/zero:/dev/bar:r $image sh -c 'head -c 3 /dev/bar | wc -c'
         $r --device /dev/nope $image true; echo $?; $r --device /dev/null:/x:zz $image true; echo $?
         $r --device-cgroup-rule 'c 1:3' $image true; echo $?; $r --runtime foo $image true; echo $?
         $r --log-driver nope $image true; echo $?; $r --log-opt nope=1 $image true; echo $?
         $r --memory 64m --memory-swap 32m $image true; echo $?",
        "c run -d --name x --network none --log-opt max-size=1k --log-opt max-file=3 --label a=b \
           --log-opt labels=a --log-opt tag='{{.Name}}' $image \
           sh -c 'for i in $(seq 100); do echo line $i; done; echo err >&2' >/dev/null; c wait x
         c logs --tail 3 --details x; c logs x | tail -5; c logs --tail foo x | wc -l
         c inspect -f '{{json .HostConfig.LogConfig}}' x; c rm x
         c run -d --name x --network none --log-driver none $image echo hi >/dev/null; c wait x
         c logs x; echo $?; c rm x
         c run -d --name x --network none --log-driver local $image sh -c 'echo one; printf two' >/dev/null
         c wait x; c logs x; c inspect -f '{{.LogPath}}|' x; c rm x",
        "c run -d --name x --network none -m 64m $image sleep 1000 >/dev/null
         c update --cpu-shares 512 -m 128m --memory-swap 256m x nosuch; echo $?; c update x; echo $?
         c update --restart on-failure:3 --pids-limit 77 x; c update -m 1m x; echo $?
         c inspect -f '{{.HostConfig.CpuShares}} {{.HostConfig.Memory}} {{json .HostConfig.RestartPolicy}}' x
         c stats --no-stream --format '{{.Name}} {{.Container}} {{.PIDs}} {{.NetIO}}' x
         c stats --no-stream --format '{{.MemUsage}}' x | sed 's/.* .//'; c stats --no-stream nosuch; echo $?
         c top x -eo pid,comm | tail -1 | awk '{print $2}'; c top x -o comm; echo $?
         c port x; c port x 80; echo $?
         c pause x; c ps --format '{{.Status}}' | grep -o '(Paused)'; c rm -f x",
        "c run -d --name x --network none -m 20m --memory-swap 20m $image tail /dev/zero >/dev/null
         c wait x; c inspect -f '{{.State.OOMKilled}} {{.State.ExitCode}}' x; c rm x",
        "c run -d --name x --network none --label k=v $image sh -c 'exit 3' >/dev/null; c wait x; sleep 1
         e='c events --since 60s --until 0s --filter container=x'
         $e --format '{{.Type}} {{.Action}} {{.Actor.Attributes.name}} {{.Actor.Attributes.k}}'
         $e --format '{{.Nope}}'; echo $?; $e --filter type=volume; c events --since foo; echo $?
         echo n | c container prune; c container prune -f --filter label=none
         echo y | c container prune | sed 's/[0-9a-f]\\{64\\}/ID/; s/: .*B$/: SIZE/'; c container prune -f
         c system df --format '{{.Type}} {{.TotalCount}} {{.Active}}'; c system df foo; echo $?
         echo n | c system prune; c system prune -f",
    ]);
}
