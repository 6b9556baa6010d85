//! More processes in a running container.

use crate::{Attached, Engine, Result, error::Error};

/// What to execute.
#[derive(Clone, Debug, Default)]
pub struct ExecConfig {
    pub cmd: Vec<String>,
    /// Added to the container's own environment, `NAME=value`.
    pub env: Vec<String>,
    /// `None`: the container's.
    pub user: Option<String>,
    /// `None`: the container's.
    pub working_dir: Option<String>,
    pub tty: bool,
    pub privileged: bool,
    pub attach_stdin: bool,
    pub attach_stdout: bool,
    pub attach_stderr: bool,
    /// As in [`crate::AttachOptions::detach_keys`].
    pub detach_keys: Option<String>,
    /// Rows and columns of the terminal at first.
    pub console_size: Option<(u16, u16)>,
}

/// How to start an exec.
#[derive(Clone, Debug, Default)]
pub struct ExecStartOptions {
    /// Do not connect to its streams.
    pub detach: bool,
    /// Rows and columns of the terminal at first; `None`: as at creation.
    pub console_size: Option<(u16, u16)>,
}

/// An exec as it is now.
#[derive(Clone, Debug)]
pub struct ExecInspect {
    pub id: String,
    pub container: String,
    pub running: bool,
    /// Once it has ended or could not be started.
    pub exit_code: Option<i32>,
    /// Process id in the guest, 0 before the start.
    pub pid: i32,
    /// `user` and `working_dir` are those in effect.
    pub config: ExecConfig,
}

impl Engine {
    /// Prepares a process in a running container and returns the exec's id (64 hex digits).
    ///
    /// # Errors
    /// No such container; conflict if it does not run or is paused; no command.
    pub async fn exec_create(&self, container: &str, config: ExecConfig) -> Result<String> {
        let _ = (container, config);
        Err(Error::not_yet("exec"))
    }

    /// Starts a prepared process, connected to its streams unless `detach`.
    ///
    /// # Errors
    /// No such exec; conflict if it has run; [`Error::Start`] if the program cannot be executed.
    pub async fn exec_start(
        &self,
        exec: &str,
        options: ExecStartOptions,
    ) -> Result<Option<Attached>> {
        let _ = (exec, options);
        Err(Error::not_yet("exec"))
    }

    /// Describes an exec. It is remembered for five minutes after its end at least.
    ///
    /// # Errors
    /// No such exec.
    pub async fn exec_inspect(&self, exec: &str) -> Result<ExecInspect> {
        Err(Error::NoSuchExec(exec.into()))
    }

    /// Sets the size of an exec's terminal.
    ///
    /// # Errors
    /// No such exec, or it does not run.
    pub async fn exec_resize(&self, exec: &str, rows: u16, columns: u16) -> Result<()> {
        let _ = (rows, columns);
        Err(Error::NoSuchExec(exec.into()))
    }
}
