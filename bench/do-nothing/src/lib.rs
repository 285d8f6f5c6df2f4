//! A proxy-wasm filter that does nothing: what any filter of this SDK costs at the least.
//!
//! It has the SDK's exports, all of the ABI's hooks; our filter has no SDK and exports those that it works in. Every hook is the SDK's own, which continues. It must never call the host.

#[cfg(target_arch = "wasm32")]
mod plugin {
    use proxy_wasm::traits::{Context, HttpContext, RootContext};
    use proxy_wasm::types::ContextType;

    proxy_wasm::main! {{
        proxy_wasm::set_root_context(|_| Box::new(Root));
    }}

    struct Root;

    struct Stream;

    impl Context for Root {}

    impl RootContext for Root {
        fn create_http_context(&self, _context: u32) -> Option<Box<dyn HttpContext>> {
            Some(Box::new(Stream))
        }

        fn get_type(&self) -> Option<ContextType> {
            Some(ContextType::HttpContext)
        }
    }

    impl Context for Stream {}

    impl HttpContext for Stream {}
}
