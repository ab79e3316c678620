import { LabIcon } from '@jupyterlab/ui-components';

export const shieldIcon = new LabIcon({
  name: 'manatee-lab:shield',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16" width="16">
  <path class="jp-icon3" fill="#616161" fill-rule="evenodd"
    d="M8 1 2.5 3v4.2c0 3.5 2.3 6.4 5.5 7.8 3.2-1.4 5.5-4.3 5.5-7.8V3L8 1Zm0 1.5 4.1 1.5v3.2
    c0 2.7-1.7 5-4.1 6.2-2.4-1.2-4.1-3.5-4.1-6.2V4L8 2.5Z"/>
  <path class="jp-icon3" fill="#616161"
    d="m7.2 10.6-2.4-2.4 1-1 1.4 1.4 3-3.2 1 1-4 4.2Z"/>
</svg>`
});
