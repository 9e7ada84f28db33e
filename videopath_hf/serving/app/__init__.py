"""The web app: a clip or image is shown to a model and asked about, in a browser.

`desk` is what the app does, without a page: `visits` and `storage` hold what people bring, `check` looks at it in a
process of its own, `engine` runs one job at a time, `readers` are the models. `views` and `report` make HTML of it,
`page` lays the Gradio page out, `routes` serves files to those they belong to, and `launch` puts it on a port.
"""
