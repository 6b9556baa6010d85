//! `hull daemon`: the API server.

mod config;
mod lock;
mod process;

use std::fs;

use hull_api::Server;
use hull_engine::{Engine, Settings, TemplateShape};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::client::make_home;
use crate::context::Context;
use crate::error::Failure;
use crate::output;

use self::config::Config;
pub(crate) use self::lock::Lock;
pub(crate) use self::process::background;

/// Runs the daemon in this process until SIGTERM, SIGINT or a client's request ends it. `announce`
/// says to standard output when it is ready, for the process that started it; with `wait`, a daemon
/// that runs already is waited for.
pub(crate) fn run(context: &Context, announce: bool, wait: bool) -> Result<(), Failure> {
    output::log_to_stderr(context.debug);
    let result = serve(context, announce, wait);
    if let (true, Err(Failure::Message { text, hint, .. })) = (announce, &result) {
        let hint = hint.as_ref().map(|hint| format!("hint: {hint}\n"));
        output::print(format!("{text}\n{}", hint.unwrap_or_default()))?;
    }
    result
}

fn serve(context: &Context, announce: bool, wait: bool) -> Result<(), Failure> {
    make_home(context).map_err(|error| {
        Failure::new(format!("cannot make {}: {error}", context.home.display()))
    })?;
    let mut lock = Lock::take(context)?;
    while wait && lock.is_none() {
        Lock::wait_until_free(context)?;
        lock = Lock::take(context)?;
    }
    let Some(lock) = lock else {
        // Another daemon became ready while this one waited: it serves as well.
        if announce {
            process::ready()?;
        }
        return Ok(());
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(answer(context, &lock, announce));
    runtime.shutdown_background();
    result
}

/// Has the template of the usual machine there before it is asked for; a pool does that itself.
fn build_default_template(engine: &Engine) {
    let Settings { templates, pool, .. } = engine.settings();
    if !templates.enabled || pool.size > 0 {
        return;
    }
    let engine = engine.clone();
    tokio::spawn(async move {
        if let Err(error) = engine.build_template(TemplateShape::default()).await {
            tracing::warn!("no template for usual machines: {}", output::chain(&error));
        }
    });
}

async fn answer(context: &Context, lock: &Lock, announce: bool) -> Result<(), Failure> {
    let mut settings = Settings::new(&context.home, &context.program, &context.lib);
    settings.docker_config = Some(context.config.join("config.json"));
    let config = Config::read(&context.home.join("config.toml"))?;
    settings.templates = config.templates;
    settings.pool = config.pool;
    let engine = Engine::open(settings).await.map_err(|error| Failure::Message {
        text: output::chain(&error),
        hint: error.hint().map(str::to_owned),
        code: 1,
    })?;
    let socket = context.home.join("hull.sock");
    let listener = hull_api::bind(&socket).map_err(|error| Failure::new(output::chain(&error)))?;
    lock.write_pid(context)?;
    let stop = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let signalled = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("asked to end");
        signalled.cancel();
    });
    if announce {
        process::ready()?;
    }
    tracing::info!("serving {}", socket.display());
    build_default_template(&engine);
    let server = Server { engine: engine.clone(), stop };
    hull_api::serve(listener, server).await;
    engine.close().await;
    // Still under the lock: nobody else's socket is removed.
    let _ = fs::remove_file(&socket);
    let _ = fs::remove_file(context.home.join("daemon.pid"));
    tracing::info!("ended");
    Ok(())
}
