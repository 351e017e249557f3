//! What every connection is offered, and held to.

use std::sync::Arc;
use std::time::Duration;

use leveret_protocol::{LimitCounts, ServerIdentity, server_properties};

use crate::config::Config;

/// One blocked connection may set aside this part of what all of them may.
const BLOCKED_INPUT_SHARES: usize = 64;

/// The protocol's settings. `external`: for a client whose certificate names a user.
pub(crate) fn protocol_config(
    config: &Config,
    external: bool,
    limits_met: &Arc<LimitCounts>,
) -> leveret_protocol::Config {
    let limits = &config.limits;
    let identity = ServerIdentity {
        cluster_name: config.cluster_name.clone(),
        product: config.server.product.clone(),
        version: config.server.version.clone(),
        ..ServerIdentity::default()
    };
    leveret_protocol::Config {
        frame_max: limits.frame_max,
        channel_max: limits.channel_max,
        heartbeat: limits.heartbeat_seconds,
        server_properties: server_properties(&identity),
        max_message_size: limits.max_message_size,
        // Eight of the largest messages at once.
        content_in_progress_max: limits.max_message_size.saturating_mul(8),
        blocked_input_max: limits.blocked_input_bytes / BLOCKED_INPUT_SHARES,
        handshake_timeout: Duration::from_secs(limits.handshake_timeout_seconds),
        close_timeout: Duration::from_secs(limits.close_timeout_seconds),
        failure_delay: Duration::from_secs(limits.login_failure_delay_seconds),
        content_stall: Duration::from_secs(limits.content_stall_timeout_seconds),
        limits_met: Arc::clone(limits_met),
        mechanisms: config
            .auth_mechanisms
            .iter()
            .filter(|name| external || *name != "EXTERNAL")
            .cloned()
            .collect(),
    }
}
