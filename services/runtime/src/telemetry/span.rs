//! Between `tracing`'s spans and the trace context in headers and tokens.

use ferry_core::trace::TraceContext;
use opentelemetry::{
    Context, SpanId, TraceFlags, TraceId,
    trace::{SpanContext, TraceContextExt, TraceState},
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The target of spans that are exported: `info_span!(target: TRACED, "redirect", …)`, made only if the sampler said yes.
pub const TRACED: &str = "ferry::trace";

/// Makes `span` a child of a span in another process. Must come before the span is entered or [`context_of`] is asked;
/// without a collector, or for a span that is not [`TRACED`], it does nothing.
pub fn set_parent(span: &Span, parent: &TraceContext) {
    let flags = if parent.sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
    let remote = SpanContext::new(
        TraceId::from_bytes(parent.trace_id),
        SpanId::from_bytes(parent.span_id),
        flags,
        true,
        TraceState::default(),
    );
    // It fails only for a span that nobody exports, which needs no parent.
    let _unexported = span.set_parent(Context::new().with_remote_span_context(remote));
}

/// What to hand to the next process; `None` for a span that is not exported.
#[must_use]
pub fn context_of(span: &Span) -> Option<TraceContext> {
    let context = span.context();
    let known = context.span().span_context().clone();
    TraceContext::new(known.trace_id().to_bytes(), known.span_id().to_bytes(), known.is_sampled())
}
