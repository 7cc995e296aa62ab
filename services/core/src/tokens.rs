//! Tokens: who may fetch what, and until when. design.md section 9.
//!
//! Two kinds that can never be taken for each other, because each MAC begins with the name of its kind: a [`UserGrant`]
//! says that a user may fetch, a [`NodeGrant`] that a gateway sent this very request. Both are HMAC-SHA256, compared in
//! constant time, over text or bytes that can be read in one way only.
//!
//! Decides whether a token is good at a moment that the caller names. Never asks what time it is, never logs, and never says
//! to a client why a token was refused.

mod node;
mod seal;
mod user;

pub use node::{Endpoint, NodeGrant, Reach, RedirectId, Terms};
pub use seal::{LONGEST_TOKEN, NodeTokenError, Unsealable, open, seal, seal_onto};
pub use user::{InvalidScope, Scope, Unsignable, UserClaim, UserGrant, UserTokenError, sign_user, verify_user};

pub use crate::target::{NODE_PARAMETER, strip_ferry_parameters, strip_node_token};
