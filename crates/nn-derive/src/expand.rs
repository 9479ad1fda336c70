//! From the syntax tree of an item to its implementation of `Module`.
//!
//! Structs and enums take the same road: a struct is matched like an enum with one variant. The code that
//! comes out is what one would write by hand:
//!
//! ```text
//! match self {
//!     Self { weight: part_0, bias: part_1, .. } => {
//!         path.inside("weight", |path| Module::visit(part_0, path, visitor));
//!         path.inside("bias", |path| Module::visit(part_1, path, visitor));
//!     }
//! }
//! ```

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Attribute, Data, DeriveInput, Error, Fields, Index, Member, Result, Type, parse_quote};

/// The implementation of `Module` for `input`, or every error in it at once.
pub(crate) fn module(input: &DeriveInput) -> Result<TokenStream> {
    let mut errors = Errors::default();
    errors.refuse_attributes(&input.attrs, "the item");
    let mut shapes = Vec::new();
    match &input.data {
        Data::Struct(data) => {
            shapes.push(Shape { pattern: quote!(Self), parts: parts(&data.fields, false, &mut errors) });
        }
        Data::Enum(data) => {
            for variant in &data.variants {
                errors.refuse_attributes(&variant.attrs, "a variant");
                let name = &variant.ident;
                let parts = parts(&variant.fields, true, &mut errors);
                shapes.push(Shape { pattern: quote!(Self::#name), parts });
            }
        }
        Data::Union(data) => errors.push(Error::new_spanned(
            data.union_token,
            "a union cannot be a Module: nothing tells which of its fields is there; use an enum",
        )),
    }
    errors.finish()?;

    let mut generics = input.generics.clone();
    for parameter in generics.type_params_mut() {
        let name = &parameter.ident;
        if shapes
            .iter()
            .flat_map(|shape| &shape.parts)
            .any(|part| mentions(part.field_type.to_token_stream(), name))
        {
            parameter.bounds.push(parse_quote!(::backflow::Module));
        }
    }
    let (impl_generics, type_generics, where_clause) = generics.split_for_impl();
    let name = &input.ident;
    let visit = body(&shapes, &quote!(visit));
    let visit_mut = body(&shapes, &quote!(visit_mut));
    Ok(quote! {
        #[automatically_derived]
        #[allow(unused_variables, reason = "a module may hold no tensors")]
        impl #impl_generics ::backflow::Module for #name #type_generics #where_clause {
            fn visit(&self, path: &mut ::backflow::Path, visitor: &mut dyn ::backflow::Visitor) {
                #visit
            }

            fn visit_mut(&mut self, path: &mut ::backflow::Path, visitor: &mut dyn ::backflow::VisitorMut) {
                #visit_mut
            }
        }
    })
}

/// A struct, or one variant of an enum.
struct Shape<'a> {
    pattern: TokenStream,
    parts: Vec<Part<'a>>,
}

/// A field to visit.
struct Part<'a> {
    member: Member,
    field_type: &'a Type,
    /// The step of the path, `None` for a field that stands for the whole.
    step: Option<String>,
}

fn parts<'a>(fields: &'a Fields, of_variant: bool, errors: &mut Errors) -> Vec<Part<'a>> {
    let mut parts = Vec::new();
    for (idx, field) in fields.iter().enumerate() {
        if errors.is_skipped(&field.attrs) {
            continue;
        }
        let member = match &field.ident {
            Some(name) => Member::Named(name.clone()),
            None => Member::Unnamed(Index::from(idx)),
        };
        // A layer's identity is known by the path around its field, so it always needs a step of its own.
        let stands_for_all =
            of_variant && field.ident.is_none() && fields.len() == 1 && !is_layer_id(&field.ty);
        let step = (!stands_for_all).then(|| match &member {
            Member::Named(name) => name.unraw().to_string(),
            Member::Unnamed(index) => index.index.to_string(),
        });
        parts.push(Part { member, field_type: &field.ty, step });
    }
    parts
}

fn is_layer_id(field_type: &Type) -> bool {
    matches!(field_type, Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == "LayerId"))
}

/// The body of `visit` or `visit_mut`: a match that hands each part, and its path, to the part's own method.
fn body(shapes: &[Shape<'_>], method: &TokenStream) -> TokenStream {
    if shapes.is_empty() {
        return quote!(match *self {});
    }
    let arms = shapes.iter().map(|Shape { pattern, parts }| {
        let names: Vec<Ident> = (0..parts.len()).map(|idx| format_ident!("part_{idx}")).collect();
        let members = parts.iter().map(|part| &part.member);
        let calls = parts.iter().zip(&names).map(|(part, name)| {
            // The field's span, so that "the trait bound is not satisfied" points at the field.
            let call =
                quote_spanned!(part.field_type.span()=> ::backflow::Module::#method(#name, path, visitor));
            match &part.step {
                Some(step) => quote!(path.inside(#step, |path| #call);),
                None => quote!(#call;),
            }
        });
        quote!(#pattern { #(#members: #names,)* .. } => { #(#calls)* })
    });
    quote!(match self { #(#arms)* })
}

/// Whether `name` occurs anywhere in `tokens`.
fn mentions(tokens: TokenStream, name: &Ident) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == *name,
        TokenTree::Group(group) => mentions(group.stream(), name),
        _ => false,
    })
}

/// Errors found so far: all are reported together.
#[derive(Default)]
struct Errors(Option<Error>);

impl Errors {
    fn push(&mut self, error: Error) {
        match &mut self.0 {
            Some(errors) => errors.combine(error),
            none => *none = Some(error),
        }
    }

    fn finish(self) -> Result<()> {
        self.0.map_or(Ok(()), Err)
    }

    /// Whether a field says `#[module(skip)]`.
    fn is_skipped(&mut self, attributes: &[Attribute]) -> bool {
        let mut skipped = false;
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("module")) {
            let result = attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("skip") {
                    skipped = true;
                    return Ok(());
                }
                let name = meta.path.to_token_stream();
                Err(meta.error(format!("unknown attribute `{name}`; the only one is `#[module(skip)]`")))
            });
            if let Err(error) = result {
                self.push(error);
            } else if !skipped {
                self.push(Error::new_spanned(
                    attribute,
                    "an empty attribute; did you mean `#[module(skip)]`?",
                ));
            }
        }
        skipped
    }

    /// Complains about `#[module(…)]` where it means nothing.
    fn refuse_attributes(&mut self, attributes: &[Attribute], place: &str) {
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("module")) {
            let message = format!("`#[module(…)]` goes on a field, not on {place}");
            self.push(Error::new_spanned(attribute, message));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::module;
    use syn::parse_str;

    fn errors(item: &str) -> Vec<String> {
        let input = parse_str(item).expect("the test's item parses");
        module(&input)
            .expect_err("the test's item is wrong")
            .into_iter()
            .map(|error| error.to_string())
            .collect()
    }

    #[test]
    fn errors_say_what_to_do() {
        let cases = [
            ("union U { a: Tensor }", "use an enum"),
            (
                "struct S { #[module(ignore)] a: usize }",
                "unknown attribute `ignore`; the only one is `#[module(skip)]`",
            ),
            ("struct S { #[module(skip(a))] a: usize }", "expected `,`"),
            ("struct S { #[module()] a: usize }", "did you mean `#[module(skip)]`?"),
            (
                "struct S { #[module] a: usize }",
                "expected attribute arguments in parentheses: #[module(...)]",
            ),
            ("struct S { #[module = \"skip\"] a: usize }", "expected parentheses: #[module(...)]"),
            ("#[module(skip)] struct S;", "goes on a field, not on the item"),
            ("enum E { #[module(skip)] A(usize) }", "goes on a field, not on a variant"),
        ];
        for (item, expected) in cases {
            let errors = errors(item);
            assert!(errors.len() == 1 && errors[0].contains(expected), "{item}: {errors:?}");
        }
    }

    #[test]
    fn all_errors_are_reported_at_once() {
        let errors =
            errors("struct S { #[module(a)] a: usize, #[module(skip)] b: usize, #[module(c)] c: usize }");
        assert_eq!(errors.len(), 2, "{errors:?}");
    }

    #[test]
    fn only_type_parameters_that_are_visited_are_bound() {
        let item = "struct S<'a, A, B: Clone, C, const N: usize> where C: Copy {
            a: Vec<(A,)>, b: [B; N], #[module(skip)] c: &'a C }";
        let code = module(&parse_str(item).unwrap()).unwrap().to_string();
        let head = "impl < 'a , A : :: backflow :: Module , B : Clone + :: backflow :: Module , C , const N : usize > \
                    :: backflow :: Module for S < 'a , A , B , C , N > where C : Copy {";
        assert!(code.contains(head), "{code}");
    }
}
