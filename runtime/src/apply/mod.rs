//! Server-side apply: change sets, inventory, prune, health.
