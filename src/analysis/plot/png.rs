//! Pictures as PNG: the SVG drawn with a font that is part of the program, so that the pixels are
//! the same on every machine.

use std::sync::Arc;

use resvg::{tiny_skia, usvg};

use super::Picture;

/// Pixels of a CSS pixel: sharp on paper.
const PIXELS: f32 = 2.0;

impl Picture {
    /// As a PNG file; none where there is no memory for its pixels.
    pub fn png_file(&self) -> Option<Vec<u8>> {
        let mut fonts = usvg::fontdb::Database::new();
        fonts.load_font_data(epaint_default_fonts::UBUNTU_LIGHT.to_vec());
        fonts.set_sans_serif_family("Ubuntu");
        let options = usvg::Options { fontdb: Arc::new(fonts), ..usvg::Options::default() };
        let tree = usvg::Tree::from_str(&self.svg_file(), &options).ok()?;
        let size = tree.size().to_int_size().scale_by(PIXELS)?;
        let mut pixels = tiny_skia::Pixmap::new(size.width(), size.height())?;
        let scale = tiny_skia::Transform::from_scale(PIXELS, PIXELS);
        resvg::render(&tree, scale, &mut pixels.as_mut());
        pixels.encode_png().ok()
    }
}
