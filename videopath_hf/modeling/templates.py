"""Chat templates: how a conversation becomes the prompt the published models were trained on."""

CHATML_TEMPLATE = """\
{%- if messages[0]['role'] != 'system' -%}
{{- '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' -}}
{%- endif -%}
{%- for message in messages -%}
{{- '<|im_start|>' + message['role'] + '\\n' -}}
{%- if message['content'] is string -%}
{%- set words = message['content'] -%}
{%- else -%}
{%- set parts = namespace(text='') -%}
{%- for block in message['content'] -%}
{%- if block['type'] == 'image' -%}
{%- set parts.text = parts.text + '<|image_pad|>\\n' -%}
{%- elif block['type'] == 'video' -%}
{%- set parts.text = parts.text + '<|video_pad|>\\n' -%}
{%- elif block['type'] == 'text' -%}
{%- set parts.text = parts.text + block['text'] -%}
{%- else -%}
{{- raise_exception('a content block has type ' + block['type'] + '; accepted are text, image and video') -}}
{%- endif -%}
{%- endfor -%}
{%- set words = parts.text -%}
{%- endif -%}
{%- if message['role'] == 'assistant' -%}
{%- generation -%}
{{- words + '<|im_end|>' -}}
{%- endgeneration -%}
{%- else -%}
{{- words + '<|im_end|>' -}}
{%- endif -%}
{{- '\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|im_start|>assistant\\n' -}}
{%- endif -%}
"""
"""`qwen_1_5`: ChatML with a default system message. Every image or video is followed by a line break; what
`return_assistant_tokens_mask` marks is the assistant's words and their `<|im_end|>`."""

PLAIN_TEMPLATE = """\
{%- for message in messages -%}
{%- if message['role'] == 'user' -%}
{%- for block in message['content'] -%}
{%- if block['type'] == 'image' -%}
{{- '<|image_pad|>' -}}
{%- endif -%}
{%- endfor -%}
{%- elif message['role'] == 'assistant' -%}
{%- if message['content'] is string -%}
{%- set words = message['content'] -%}
{%- else -%}
{%- set words = message['content'] | selectattr('type', 'equalto', 'text') | map(attribute='text') | join('') -%}
{%- endif -%}
{%- generation -%}
{{- words + '\\n' -}}
{%- endgeneration -%}
{%- endif -%}
{%- endfor -%}
"""
"""The published alignment stage's `plain`: the image, then its caption and a line break; the question is not shown."""
