//! `keybutton-service`: the access service on its own.

use std::{error::Error, process::ExitCode};

use clap::{Parser, Subcommand};
use keybutton_service::{
    Database, Service,
    settings::{LogFormat, MASTER_KEY_VARIABLE, Options, Resolved},
};
use tokio::net::TcpListener;

#[derive(Debug, Parser)]
#[command(version, about = "Keybutton's access service: rights, keys, devices, locks, events")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answers requests until it is told to stop
    Serve {
        #[command(flatten)]
        options: Options,
    },
    /// Makes an organization and prints its first operator key, once
    Bootstrap {
        /// The organization's name, shown to members
        #[arg(long)]
        name: String,
        #[command(flatten)]
        options: Options,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse().command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<(), Box<dyn Error>> {
    let master_key = std::env::var(MASTER_KEY_VARIABLE).ok();
    match command {
        Command::Serve { options } => {
            let resolved = options.resolve(master_key.as_deref())?;
            log(&resolved)?;
            serve(resolved).await
        }
        Command::Bootstrap { name, options } => {
            let resolved = options.resolve(master_key.as_deref())?;
            log(&resolved)?;
            if resolved.service.database == Database::Memory {
                return Err("an organization in memory would be gone at once; name a file with --database".into());
            }
            let service = Service::open(resolved.service).await?;
            let made = service.bootstrap_organization(&name).await?;
            service.close().await?;
            println!("organization  {}", made.organization);
            println!("operator key  {}", made.operator_key);
            println!("Keep the key: it can't be shown again.");
            Ok(())
        }
    }
}

async fn serve(resolved: Resolved) -> Result<(), Box<dyn Error>> {
    let service = Service::open(resolved.service).await?;
    let listener = TcpListener::bind(resolved.listen)
        .await
        .map_err(|error| format!("can't listen on {}: {error}. Name another address with --listen", resolved.listen))?;
    // Printed for whoever starts the service with port 0.
    println!("listening on http://{}", listener.local_addr()?);
    service.serve(listener, stopped()).await?;
    tracing::info!("stopped");
    Ok(())
}

/// Completes when the process is asked to stop.
async fn stopped() {
    let interrupt = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminate = std::future::pending::<()>();
    tokio::select! {
        () = interrupt => {}
        () = terminate => {}
    }
}

fn log(resolved: &Resolved) -> Result<(), Box<dyn Error>> {
    let filter = tracing_subscriber::EnvFilter::try_new(&resolved.log)
        .map_err(|error| format!("log filter is not understood: {error}"))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match resolved.log_format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().init(),
    }
    Ok(())
}
