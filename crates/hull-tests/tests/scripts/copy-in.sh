# docker cp into a container: every kind of source to every kind of destination.
try() { "$@" >out 2>err; echo "$* => $? $(cat out)"; }
# Shows /m of the container and makes it new.
look() {
    engine exec box sh -c 'cd /m 2>/dev/null && find . | sort | while read f; do stat -c "%n %a %F %u %g" $f; done | tr "\n" ";"; cat exfile 2>&1
        rm -rf /m; mkdir -p /m/exdir /m/real; cd /m; echo x > exfile; ln -s real tolink; ln -s exfile tofile; ln -s /m/nowhere broken'
}

engine run -d --network none --name box "$IMAGE" sleep 1000 >/dev/null
mkdir -p s/dir/sub
echo one >s/file
echo two >s/dir/a
echo three >s/dir/sub/b
ln -s file s/flink
ln -s dir s/dlink
ln -s nosuch s/broken
ln s/dir/a s/dir/twin
chmod 751 s/file
chmod 700 s/dir/sub
look
for follow in '' -L; do
    for source in s/file s/file/ s/dir s/dir/ s/dir/. s/flink s/dlink s/dlink/ s/dlink/. s/broken s/nosuch; do
        for target in exdir exdir/ exdir/. exfile exfile/ new new/ new/. no/new tolink tofile broken; do
            # Of the links, only what following changes.
            case "$follow$source$target" in -L*link*exdir | -L*link*new | -L*broken*new) ;; -L*) continue ;; esac
            try engine cp $follow $source box:/m/$target
            look
        done
    done
done
engine rm -f box >/dev/null
