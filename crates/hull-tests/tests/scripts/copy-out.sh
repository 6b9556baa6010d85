# docker cp out of a container, which runs or does not: every kind of source to every kind of
# destination.
try() { "$@" >out 2>err; echo "$* => $? $(cat out)"; rm -f out err; }
look() { find m -printf '%p %y %m %s %l %U %T@\n' | grep -v '^m d' | sed -E 's/([0-9]{5})[0-9]+\.0+$/\1/; s/ [0-9]{10}\.[0-9]+$//' | sort | tr '\n' ';'; echo; }

setup='mkdir -p /s/dir/sub; cd /s; echo one > file; echo two > dir/a; echo three > dir/sub/b
    ln dir/a dir/twin; ln -s file flink; ln -s dir dlink; ln -s nosuch broken; chmod 751 file
    chmod 4700 dir/sub; ln -s ../s/file rel; ln -s /s/file abs; chown 12:34 dir/a; touch -d 2001-02-03 file'
engine run -d --network none --name on "$IMAGE" sh -c "$setup; sleep 1000" >/dev/null
engine run --network none --name off "$IMAGE" sh -c "$setup"
until engine exec on ls /s/abs >/dev/null 2>&1; do sleep 0.1; done
for box in on off; do
    for follow in '' -L; do
        for source in /s/file /s/file/ s/file /s/dir /s/dir/ /s/dir/. /s/dir/../file /s/flink /s/dlink /s/dlink/ /s/dlink/. /s/broken /s/rel /s/abs /s/nosuch; do
            for target in exdir exdir/ exdir/. exfile exfile/ new new/ new/. no/new tolink tofile broken broken/; do
                # Of the container that does not run, and of the links, only some.
                case "$box$follow$target" in
                    onexdir* | onexfile* | onnew* | onno* | onto* | onbroken* | on-Lexdir | on-Lnew | off-Lexdir | offexdir | offnew/) ;;
                    *) continue ;;
                esac
                rm -rf m
                mkdir -p m/exdir m/real
                (cd m; echo x >exfile; ln -s real tolink; ln -s exfile tofile; ln -s nowhere broken)
                try engine cp $follow $box:$source m/$target
                look
            done
        done
    done
done
engine rm -f on off >/dev/null
